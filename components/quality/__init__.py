"""Great Expectations on ingested data: what must not reach training, and pages that say so."""
