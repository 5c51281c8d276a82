"""What does not belong: scores of strangeness, their calibration, and detectors built on them."""
