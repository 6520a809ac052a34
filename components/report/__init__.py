"""Pages with pictures; they load nothing from anywhere."""
