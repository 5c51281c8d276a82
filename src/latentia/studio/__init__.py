"""The studio: a local page on which every run can be seen and touched (extra `studio`)."""
