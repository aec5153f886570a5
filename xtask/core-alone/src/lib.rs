//! The core, an allocator and a panic handler, and nothing else.
//!
//! A program has one panic handler: if anything below the core needed std,
//! which brings its own, this would not compile. `cargo xtask test` links it
//! for wasm with the whole core inside and fails if the module imports
//! anything. For other platforms it is empty.
#![cfg_attr(target_arch = "wasm32", no_std)]
#![cfg(target_arch = "wasm32")]

use tidegate_core as _;

#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
