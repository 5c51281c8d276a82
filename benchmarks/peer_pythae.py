"""pythae's side: its VAE with its default MLP, trained by its BaseTrainer.

The clock runs from the end of the first epoch to the return of `train`, as on our side.
"""

from __future__ import annotations

import logging
import tempfile
import time
from typing import Any

from pythae.data.preprocessors import DataProcessor
from pythae.models import VAE, VAEConfig
from pythae.trainers import BaseTrainer, BaseTrainerConfig
from pythae.trainers.training_callbacks import TrainingCallback

from common import arguments, digits, emit, parameters


class Stamps(TrainingCallback):
    """Notes the end of every epoch."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_epoch_end(self, training_config: Any, **kwargs: Any) -> None:
        self.ends.append(time.perf_counter())


def main() -> None:
    args = arguments()
    logging.getLogger("pythae").setLevel(logging.ERROR)
    pixels = digits(args.data, args.rows).astype("float32") / 255
    processor = DataProcessor()
    data = processor.to_dataset(processor.process_data(pixels))
    model = VAE(VAEConfig(input_dim=(1, 28, 28), latent_dim=16, reconstruction_loss="bce"))
    epochs = max(1, round(args.steps * args.batch / args.rows))  # after the one that warms up
    stamps = Stamps()
    with tempfile.TemporaryDirectory() as folder:
        config = BaseTrainerConfig(
            output_dir=folder,
            num_epochs=1 + epochs,
            learning_rate=1e-3,
            per_device_train_batch_size=args.batch,
            no_cuda=True,
        )
        BaseTrainer(model, data, training_config=config, callbacks=[stamps]).train()
        seconds = time.perf_counter() - stamps.ends[0]
    emit(
        benchmark="vae",
        images_per_s=epochs * args.rows / seconds,
        parameters=parameters(model),
        arithmetic="float32",
    )


if __name__ == "__main__":
    main()
