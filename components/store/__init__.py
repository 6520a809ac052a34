"""The files between stages: schemas, readers that check versions, writers that replace whole files only."""
