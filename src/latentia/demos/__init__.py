"""Games small enough to watch: what generator and discriminator do, drawn frame by frame."""
