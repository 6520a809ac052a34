"""register: a version in MLflow's registry, with its lineage. Idempotent."""

from __future__ import annotations


def main() -> None:
    from components.model_registry.register import register_model

    register_model()
