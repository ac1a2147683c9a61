"""The client's name outside this repository."""

import hookswitch

import service.client


def test_the_client_has_the_products_name():
    assert {name: getattr(hookswitch, name) for name in hookswitch.__all__} == {
        name: getattr(service.client, name) for name in service.client.__all__
    }
    assert hookswitch.verify_feed([]) == {}
