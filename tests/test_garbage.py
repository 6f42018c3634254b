"""What imports and models leave behind is searched when somebody gives a model up, not before."""

from __future__ import annotations

import gc
import weakref

from generator.engine import garbage


class Thing:
    def __init__(self) -> None:
        self.itself = self


def test_what_was_set_aside_is_found_when_a_model_is_given_up() -> None:
    with garbage.paused():
        thing = Thing()
    alive = weakref.ref(thing)
    del thing
    gc.collect()
    assert alive() is not None
    garbage.collect()
    assert alive() is None


def test_garbage_is_looked_for_again_afterwards() -> None:
    with garbage.paused():
        assert not gc.isenabled()
    assert gc.isenabled()


def test_what_is_garbage_already_is_not_kept() -> None:
    with garbage.paused():
        thing = Thing()
        alive = weakref.ref(thing)
        del thing
    assert alive() is None
