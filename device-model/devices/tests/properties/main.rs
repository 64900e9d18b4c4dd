//! What holds for functions whatever a guest does, checked with random use.

mod configuration_space;
mod descriptions;
mod dma;
mod operations;
mod registers;
mod restored_effects;
mod saved_state;
