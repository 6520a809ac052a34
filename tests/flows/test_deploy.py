"""What `make up` leaves on Prefect's server."""

from __future__ import annotations

from flows.deploy import webhook


def test_the_webhooks_address_is_posted_to_and_not_shown() -> None:
    url = "https://hooks.example/services/T0/B0/secret"
    block = webhook(url)
    assert block._build_request_args("news", "drift")["url"] == url
    assert url not in block.model_dump_json()
    assert url not in repr(block)
