//! A match does not allocate once its buffers have grown.

// Counting allocations needs a global allocator, which is unsafe to implement.
#![allow(unsafe_code)]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

use tickwire_benches::arena::{Match, SEATS};
use tickwire_shared::{arena::ArenaInput, game::Game, ids::Seat, rows::Rows, time::TickRate};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn an_arena_tick_allocates_nothing_once_its_buffers_have_grown() {
    let tick_rate = TickRate::new(30).expect("within the range of tick rates");
    let mut game = Match::new(SEATS - 1, tick_rate);
    game.arena.join(Seat(3));
    let inputs = [ArenaInput { fire: true, ..ArenaInput::default() }; SEATS as usize];
    let mut rows = Rows::default();
    let mut owner = [0; 2];
    let mut tick = |_| {
        game.step(&inputs);
        rows.clear();
        game.arena.write_rows(&mut rows);
        game.arena.write_owner(Seat(3), &mut owner);
    };
    // Long enough to reach the largest numbers of rockets and events in one tick.
    (1..50_000).for_each(&mut tick);
    let before = allocations();
    (50_000..56_000).for_each(&mut tick);
    assert_eq!(allocations() - before, 0);
}

/// The system's allocator, and how often this thread has called it.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

fn allocations() -> u64 {
    ALLOCATIONS.with(Cell::get)
}

// SAFETY: every call is passed on unchanged to the system's allocator; counting does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller guarantees the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the memory came from the system's allocator.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the memory came from the system's allocator.
        unsafe { System.realloc(memory, layout, bytes) }
    }
}
