"""For authors of plugins: a conformance suite, a corpus, random formulas, a tier that does as it is told, identities.

Needs the extra `testing` of alkahest-core (pytest, hypothesis).
"""

from __future__ import annotations

from alkahest.errors import MissingPackageError

try:
    import pytest

    pytest.register_assert_rewrite("alkahest.testing.suites")
    from alkahest.testing.backends import offered_backends as offered_backends
    from alkahest.testing.corpus import Case as Case
    from alkahest.testing.corpus import corpus as corpus
    from alkahest.testing.identities import WrongIdentity as WrongIdentity
    from alkahest.testing.identities import check_identity as check_identity
    from alkahest.testing.null_backend import NullBackend as NullBackend
    from alkahest.testing.null_backend import null_tier as null_tier
    from alkahest.testing.suites import BackendSuite as BackendSuite
except ModuleNotFoundError as error:
    raise MissingPackageError(
        f"alkahest.testing needs the package {error.name}.",
        remedy='Install it from the source tree: pip install "./packages/alkahest-core[testing]".',
    ) from error
