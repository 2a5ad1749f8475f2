//! A steady match allocates nothing on its shard's thread, however many clients it has: inputs,
//! step, rows, encoding and frames all use buffers that are kept.

mod support;

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    sync::atomic::{AtomicU64, Ordering},
};

use support::{
    TestServer,
    hooked::{Hook, Hooked},
};
use tickwire_shared::{arena::Arena, game::Game, time::TickRate};

/// Counts the allocations of threads that asked for it.
struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static TICKS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static COUNTED: Cell<bool> = const { Cell::new(false) };
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[expect(unsafe_code, reason = "an allocator is; this one only counts and passes on")]
// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if COUNTED.get() {
            ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        }
        // SAFETY: as above.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[test]
fn a_steady_match_does_not_allocate() {
    const PLAYERS: u64 = 8;
    let server = TestServer::start::<Hooked<Counted>>(|config| {
        (config.npcs, config.tick_rate) = (8, TickRate::new(100).unwrap());
    });
    let mut players: Vec<_> = (0..PLAYERS).map(|_| server.join()).collect();
    let play = |players: &mut [support::Client], ticks: u64| {
        let until = TICKS.load(Ordering::Relaxed) + ticks;
        while TICKS.load(Ordering::Relaxed) < until {
            for player in players.iter_mut() {
                player.wait_snapshots(1);
                let values: Vec<_> = Arena::schema().input.iter().map(|i| i.max).collect();
                player.input(&values);
            }
        }
    };
    // Buffers grow to their size, and both weapons have been fired.
    play(&mut players, 300);
    let overruns = || server.metric("tickwire_tick_overruns_total") as u64;
    let overruns_before = overruns();
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    let ticks = 300;
    play(&mut players, ticks);
    let allocations = ALLOCATIONS.load(Ordering::Relaxed) - before;
    // A buffer may still grow, and on a busy machine the recording of an overrun allocates; one
    // allocation for each client or tick would be far more.
    let allowed = 16 + 2 * (overruns() - overruns_before);
    assert!(
        allocations <= allowed,
        "{allocations} allocations in {ticks} ticks of {PLAYERS} clients"
    );
}

/// Counts ticks, and marks the thread that they run on.
struct Counted;

impl Hook for Counted {
    fn before_step() {
        COUNTED.set(true);
        TICKS.fetch_add(1, Ordering::Relaxed);
    }
}
