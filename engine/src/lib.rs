//! Empty: Cargo builds the plugins because they are dependencies.
