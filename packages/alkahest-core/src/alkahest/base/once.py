"""A property that is worked out once for each object."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

T = TypeVar("T")


class once(Generic[T]):
    """A property that is worked out when it is first read, and kept in the object's `__dict__`.

    Unlike `functools.cached_property` of Python 3.11 it holds no lock, which there is one for all objects of a class:
    one thread that compiles would keep the others from it, and a forked process for ever. Threads that read it at the
    same time may each work it out; all get the value of one of them.

    >>> class Circle:
    ...     def __init__(self, radius):
    ...         self.radius = radius
    ...
    ...     @once
    ...     def area(self):
    ...         return 3.25 * self.radius**2
    >>> circle = Circle(2.0)
    >>> circle.area, "area" in vars(circle)
    (13.0, True)
    """

    def __init__(self, make: Callable[[Any], T]) -> None:
        self._make = make
        self.__doc__ = make.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type | None = None) -> once[T]: ...

    @overload
    def __get__(self, instance: object, owner: type | None = None) -> T: ...

    def __get__(self, instance: object | None, owner: type | None = None) -> once[T] | T:
        if instance is None:
            return self
        return instance.__dict__.setdefault(self._name, self._make(instance))
