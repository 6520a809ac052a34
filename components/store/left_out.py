"""What prompts left out or asks although it cannot be answered in full: one account for report, card and lineage."""

from __future__ import annotations

from components.store.schemas.prompt_summary import PromptSummary


def left_out_lines(summary: PromptSummary) -> list[str]:
    """A sentence for each kind of sample in prompts' summary.json that was not taken as it stands."""
    limit = summary.get("gold_tokens", {}).get("limit")
    lines = [
        f"{count} {split} samples are refused: {reason}"
        for split, reasons in summary.get("refused", {}).items()
        for reason, count in reasons.items()
    ]
    lines += [
        f"{count} of the {summary['samples'][split]} {split} samples have a right answer of more than {limit} tokens; "
        "they are asked and scored all the same"
        for split, count in summary.get("asked_though_too_long", {}).items()
    ]
    return lines + [
        f"{sum(rules.values())} training images of {name} are left out, because they are held out elsewhere"
        for name, rules in summary.get("left_out_as_held_out", {}).items()
    ]
