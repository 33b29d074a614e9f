//! Parallel work whose results are taken in order, while more is done.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

/// Results that may wait to be taken. A thread that makes more waits for its turn to take some.
const WAITING_MAX: usize = 32;

/// Results that were made and not taken yet.
struct Waiting<T> {
    made: Vec<Option<T>>,
    len: usize,
}

/// What takes results, and which is next.
struct Taking<F, E> {
    next: usize,
    take: F,
    result: Result<(), E>,
}

/// Makes `len` results on all threads, each of which works with a state of its own, and gives them to `take` in
/// order, one at a time: tasks begin in order, and the thread that has made one takes what is next in turn. Ends at the
/// first error of `take`. `take` must not wait for work on other threads.
pub fn in_order<S, T: Send, E: Send, F: FnMut(T) -> Result<(), E> + Send>(
    len: usize,
    state: impl Fn() -> S + Sync,
    make: impl Fn(&mut S, usize) -> T + Sync,
    take: F,
) -> Result<(), E> {
    let begun = AtomicUsize::new(0);
    let ended = AtomicBool::new(false);
    let waiting = Mutex::new(Waiting { made: (0..len).map(|_| None).collect(), len: 0 });
    let taking = Mutex::new(Taking { next: 0, take, result: Ok(()) });
    let take_ready = |mut taking: MutexGuard<'_, Taking<F, E>>| {
        while taking.result.is_ok() {
            let next = {
                let mut waiting = locked(&waiting);
                let next = waiting.made.get_mut(taking.next).and_then(Option::take);
                waiting.len -= usize::from(next.is_some());
                next
            };
            let Some(next) = next else { return };
            taking.next += 1;
            let taken = (taking.take)(next);
            taking.result = taken;
        }
        ended.store(true, Ordering::Relaxed);
    };
    let work = || {
        let mut state = state();
        while !ended.load(Ordering::Relaxed) {
            let at = begun.fetch_add(1, Ordering::Relaxed);
            if at >= len {
                break;
            }
            let made = make(&mut state, at);
            let too_many = {
                let mut waiting = locked(&waiting);
                waiting.made[at] = Some(made);
                waiting.len += 1;
                waiting.len > WAITING_MAX
            };
            match taking.try_lock() {
                Ok(taking) => take_ready(taking),
                Err(TryLockError::Poisoned(taking)) => take_ready(taking.into_inner()),
                Err(TryLockError::WouldBlock) if too_many => take_ready(locked(&taking)),
                Err(TryLockError::WouldBlock) => {}
            }
        }
    };
    let helpers = rayon::current_num_threads().min(len).saturating_sub(1);
    // The thread that asks begins at once, while the others still wake up.
    rayon::in_place_scope(|scope| {
        (0..helpers).for_each(|_| scope.spawn(|_| work()));
        work();
    });
    // What was made while another thread was about to stop taking.
    take_ready(locked(&taking));
    taking.into_inner().unwrap_or_else(PoisonError::into_inner).result
}

/// A panic of one worker goes on where the threads are joined; nothing is used after it.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_taken_in_order() {
        for len in [0, 1, 2, 7, 500] {
            let mut taken = Vec::new();
            let made = in_order(
                len,
                || 0usize,
                |made, at| {
                    *made += 1;
                    // Uneven work, so that tasks end out of order.
                    (0..at * 7919 % 257).fold(at, |x, i| std::hint::black_box(x ^ i ^ i));
                    at
                },
                |at| {
                    taken.push(at);
                    Ok::<(), ()>(())
                },
            );
            assert_eq!((made, taken), (Ok(()), (0..len).collect()));
        }
    }

    #[test]
    fn the_first_error_ends_it() {
        let mut taken = 0;
        let result = in_order(
            1000,
            || (),
            |(), at| at,
            |at| {
                taken += 1;
                if at == 20 { Err(at) } else { Ok(()) }
            },
        );
        assert_eq!((result, taken), (Err(20), 21));
    }
}
