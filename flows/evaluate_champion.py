"""Is the champion as good on the newest test images as on those that it was registered with?"""

from __future__ import annotations

from prefect import flow, get_run_logger
from prefect.artifacts import create_markdown_artifact
from prefect.states import State

from components.model_registry.recall import CHAMPION, warning
from components.model_registry.registry import alias_version, connect, profile_model
from components.params.promote import PromoteParams
from components.params.reading import load_section
from flows.artifacts import done, tell
from flows.place import only_training
from flows.retrain import run_shown
from flows.stage_task import lookout


@flow(name="evaluate-champion", flow_run_name="champion on the newest test images")
def evaluate_champion() -> State[str]:
    """Makes the test images of the data as it is, scores the champion on them, warns of a drop. Raises StageFailed."""
    params = load_section(PromoteParams)
    champion = alias_version(connect(), profile_model(), CHAMPION)
    if champion is None:
        return done("there is no champion yet")
    with only_training():  # it uses the machine as a training does
        run_shown(["prompts"])
        found = lookout("rescore", "@champion")
    text = (f"{found['version']}: {found['metric']} {found['before']:.4f} at registration, {found['now']:.4f} on "
            f"{found['images']} {'the same' if found['same_images'] else 'new'} images: "
            f"{found['now'] - found['before']:+.4f}")  # fmt: skip
    recalled = warning(champion)
    create_markdown_artifact(f"**{recalled}**\n\n{text}" if recalled else text, key="champion")
    if recalled:
        get_run_logger().warning("the champion was %s", recalled)
    if found["loss"] > params.max_regression:
        get_run_logger().warning("the champion has dropped: %s", text)
        tell("lookout.champion-dropped", "lookout.champion", text)
    return done(text)


if __name__ == "__main__":
    evaluate_champion()
