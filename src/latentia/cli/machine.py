"""What this machine is, for `latentia doctor`."""

from __future__ import annotations

import os
import platform
import shutil
from pathlib import Path
from typing import Any

import torch

from latentia.data.cache import default_cache_dir
from latentia.precision import has_matrix_unit, resolve_precision
from latentia.run import current_versions
from latentia.training.device import resolve_device


def machine_facts() -> dict[str, Any]:
    """Everything speed and results depend on, JSON-able."""
    device = resolve_device("auto")
    cache = default_cache_dir()
    return {
        "versions": current_versions(),
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count() or 1,
        "threads": torch.get_num_threads(),
        "matrix_unit": has_matrix_unit(),
        "device": str(device),
        "accelerators": _accelerators(),
        "precision": str(resolve_precision("auto", device)).removeprefix("torch."),
        "compiler": shutil.which(os.environ.get("CXX", "c++")) or "none",
        "cache": str(cache),
        "free_disk_gb": {"cache": _free(cache), "here": _free(Path.cwd())},
    }


def _accelerators() -> list[str]:
    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return [*names, "mps"] if torch.backends.mps.is_available() else names


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _free(folder: Path) -> float:
    """Free space where `folder` lies or would lie, in 10^9 bytes."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return round(shutil.disk_usage(folder).free / 1e9, 1)
