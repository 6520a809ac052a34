"""What a licence allows, in the spellings that people use."""

from __future__ import annotations

import pytest

from components.model_registry.licences import Terms, terms

CASES: dict[Terms, tuple[str, ...]] = {
    "free": ("CC0-1.0", "cc-by-4.0", "CC BY 4.0", "CC_BY_4.0", "Apache 2.0", "MIT", "MIT License", "public domain",
             "own", "CC-BY-NC-4.0 OR MIT", "(Apache-2.0 AND MIT)", "GPL-2.0-only WITH Classpath-exception-2.0"),
    "non-commercial": (
        "CC-BY-NC-4.0", "CC BY-NC 4.0", "CC BY NC", "CC_BY_NC", "cc–by–nc–sa", "CC‑BY‑NC 4.0", "CC−BY−NC",
        "CCBYNC 4.0", "CC BY\u00adNC", "ＣＣ-ＢＹ-ＮＣ", "non-commercial", "NonCommercial use",
        "non commercial research (terms of use)",
        "academic use only", "research only", "not for any commercial use", "PolyForm-Noncommercial-1.0.0",
        "CC-BY-NC-4.0 AND MIT", "MIT AND (CC-BY-NC-4.0 OR CC-BY-NC-SA-4.0)", "for evaluation purposes",
    ),
    "unknown": ("", " ", "unknown", "NOASSERTION", "NONE", "as the pages are", "MIT OR",
                "LicenseRef-scancode-x",
                "CC BY 4.0 (annotations); images Flickr's terms", "free for commercial use", "Cityscapes terms"),
}  # fmt: skip


@pytest.mark.parametrize(("licence", "wanted"), [(one, kind) for kind, all_of in CASES.items() for one in all_of])
def test_a_licence_is_free_forbids_business_or_is_unknown(licence: str, wanted: Terms) -> None:
    assert terms(licence) == wanted


def test_what_a_person_has_read_is_allowed_word_for_word() -> None:
    assert terms("as the pages are", ["as the pages are"]) == "free"
    assert terms("as the page is", ["as the pages are"]) == "unknown"
