"""What the summary says of versions is the registry's, not what this checkout last registered."""

from __future__ import annotations

from components.model_registry.registry import connect
from components.operations.summary import versions

HERE = {"name": "lookout", "model_uri": "models:/lookout/1", "alias": "challenger"}


def test_the_newest_version_and_the_champion_are_named() -> None:
    client = connect()
    assert "holds no version" in versions(HERE)[1]
    client.create_registered_model("lookout")
    run = client.create_run(client.create_experiment("any")).info.run_id
    first = client.create_model_version("lookout", f"runs:/{run}/model", run)
    assert versions(HERE) == [
        "registered   models:/lookout/1 (the table's; alias challenger)",
        "champion     nobody yet; lookout promote models:/lookout/1",
    ]
    client.create_model_version("lookout", f"runs:/{run}/model", run)
    client.set_registered_model_alias("lookout", "champion", first.version)
    said = versions(HERE)
    assert said[1].startswith("newest       models:/lookout/2 (from another run")
    assert said[2] == "champion     models:/lookout/1"
