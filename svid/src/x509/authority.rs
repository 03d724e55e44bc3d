//! Authorities that issue X.509-SVIDs: root or intermediate, their rotation, and requests for certificates.
