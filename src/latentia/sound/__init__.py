"""From spectrograms back to sound: phases, loudness, long recordings, files."""
