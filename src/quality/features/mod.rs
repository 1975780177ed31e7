//! From samples to the features that they are compared in.
