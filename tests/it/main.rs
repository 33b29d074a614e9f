//! Integration tests: one binary. Tests of the whole program start it as a process and speak HTTP with it.

mod tidy;
