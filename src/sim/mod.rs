//! Many engines in virtual time from one seed.
