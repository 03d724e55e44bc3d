//! Trust bundles (SPIFFE Trust Domain and Bundle §4): the X.509 and JWT authorities of a trust domain in one document.
