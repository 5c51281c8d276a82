"""Sources of data, opened once and read many times: see `open_data` in `latentia.data.open`."""
