"""Which one is real? How often people take samples of a model for data, and data for samples.

The protocols are those of HYPE (Zhou et al. 2019, "HYPE: A Benchmark for Human eYe Perceptual
Evaluation of Generative Models").
"""
