"""register: a version in MLflow's registry, with its lineage. Idempotent."""

from __future__ import annotations

from components.stages.running import run_stage


def main() -> None:
    from components.model_registry.register import register_model

    register_model()


if __name__ == "__main__":
    run_stage(main)
