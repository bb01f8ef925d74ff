"""A class of its own for an object, so that a call of the object is a call of a C function and nothing else.

Python looks `__call__` up in the class of what is called. A C function object found there is called as it is, without
`self`, since it is no method; so one class cannot serve two objects. The class is a subclass of the object's own and
goes by its name, so the object is what it was in all other respects.
"""

from __future__ import annotations

import inspect
from typing import Any


def plain_class(kind: Any) -> Any:
    """Return the class that an own class was made from; any other class is returned as it is."""
    return kind.__dict__.get("_plain", kind)


def may_be_given(thing: Any) -> bool:
    """Return whether the object can be given members: it has none, and its class is of this package.

    What a user's subclass does is the user's.
    """
    kind: Any = thing.__class__
    if kind is not plain_class(kind):
        return not kind._given
    return kind.__module__.startswith("alkahest.compile.")


def twin(thing: Any) -> Any:
    """Return an object of the same plain class that shares all attributes.

    What an own class holds may refer to the twin: a reference to the object itself would be a cycle, and keep it until
    the next collection of garbage.
    """
    other: Any = object.__new__(plain_class(type(thing)))
    other.__dict__ = thing.__dict__
    return other


def give(thing: Any, members: dict[str, Any]) -> type:
    """Put `members`, none of which is a method, into a class of the object's own, and return that class."""
    own: Any = thing.__class__
    if plain_class(own) is own:
        own = thing.__class__ = _subclass(own)
    for name, member in members.items():
        own._given.add(name)
        setattr(own, name, member)
    return own


def empty(own: Any) -> None:
    """Remove what `give` put there: the object does again what its plain class says."""
    while own._given:
        delattr(own, own._given.pop())


def _subclass(plain: Any) -> Any:
    def new(kind: Any, *args: Any, **kwargs: Any) -> Any:
        """Make what the plain class makes: another object must not be called through this one's C function."""
        return plain(*args, **kwargs) if kind is own else object.__new__(kind)

    def init_subclass(kind: Any, **kwargs: Any) -> None:
        super(own, kind).__init_subclass__(**kwargs)  # pyright: ignore[reportUnknownMemberType]
        for name in own._given - kind.__dict__.keys():
            setattr(kind, name, inspect.getattr_static(plain, name))

    def delete(self: Any) -> None:
        """Free machine code now: the class itself waits for the next collection of garbage."""
        while type(self) is own and own._given:  # nothing global: this may be when the process ends
            delattr(own, own._given.pop())

    call = inspect.signature(plain.__call__)
    names = {
        "__doc__": plain.__doc__,
        "__module__": plain.__module__,
        "__qualname__": plain.__qualname__,
        "__slots__": (),
        "__signature__": call.replace(parameters=list(call.parameters.values())[1:]),
        "__new__": new,
        "__init_subclass__": classmethod(init_subclass),
        "__del__": delete,
        "_plain": plain,
        "_given": set[str](),
    }
    own = type(plain.__name__, (plain,), names)
    return own
