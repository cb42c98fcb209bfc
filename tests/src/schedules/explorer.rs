//! An executor that runs the same tasks again and again, each time in another order of polls, until it has had them all.

use std::{
    fmt,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Wake, Waker},
    time::Duration,
};

pub(super) type Task<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// One order of polls: at each point where several tasks could go on, which of them did.
#[derive(Default)]
pub(super) struct Schedule {
    /// The choices that this schedule begins with. After them it goes on with the task that it has polled last.
    begins_with: Vec<usize>,
    /// The choices that were made, and from how many tasks.
    made: Vec<(usize, usize)>,
}

/// Calls `attempt` with one schedule after the other, until there is no other one. Returns how many there were.
pub(super) async fn explore(mut attempt: impl AsyncFnMut(&mut Schedule)) -> usize {
    let mut schedule = Schedule::default();
    for number in 1..=MOST_SCHEDULES {
        attempt(&mut schedule).await;
        while schedule.made.pop_if(|(chosen, of)| *chosen + 1 == *of).is_some() {}
        let Some((chosen, _)) = schedule.made.pop() else { return number };
        let begins_with = schedule.made.iter().map(|(chosen, _)| *chosen).chain([chosen + 1]).collect();
        schedule = Schedule { begins_with, made: Vec::new() };
    }
    panic!("more than {MOST_SCHEDULES} schedules")
}

impl Schedule {
    /// Polls the tasks in the order of this schedule until all of them have ended.
    pub(super) async fn run(&mut self, tasks: Vec<Task<'_>>) {
        let mut tasks: Vec<_> =
            tasks.into_iter().map(|task| (Some(task), Arc::new(Flag(AtomicBool::new(true))))).collect();
        let (mut last, mut changes_left, mut pauses) = (0, MOST_CHANGES, 0);
        while tasks.iter().any(|(task, _)| task.is_some()) {
            let mut ready: Vec<_> =
                (0..tasks.len()).filter(|at| tasks[*at].0.is_some() && tasks[*at].1.is_raised()).collect();
            if ready.is_empty() {
                // They wait for the clock, which stands still while one of them can go on.
                pauses += 1;
                assert!(pauses < 10_000, "the tasks wait for one another: {self:?}");
                tokio::time::sleep(Duration::from_millis(1)).await;
                continue;
            }
            if let Some(at) = ready.iter().position(|at| *at == last) {
                ready.swap(0, at);
                if changes_left == 0 {
                    ready.truncate(1);
                }
            }
            let next = ready[self.choose(ready.len())];
            if next != last && ready.contains(&last) {
                changes_left -= 1;
            }
            last = next;
            let (task, flag) = &mut tasks[next];
            flag.0.store(false, Ordering::Relaxed);
            let waker = Waker::from(Arc::clone(flag));
            let mut future = tokio::task::unconstrained(task.as_mut().expect("it has not ended"));
            if Pin::new(&mut future).poll(&mut Context::from_waker(&waker)).is_ready() {
                *task = None;
            }
        }
    }

    fn choose(&mut self, of: usize) -> usize {
        let chosen = self.begins_with.get(self.made.len()).copied().unwrap_or(0);
        // A request that meets another one's write waits for a random time, so fewer tasks may be able to go on here
        // than in the schedule before.
        let chosen = chosen.min(of - 1);
        self.made.push((chosen, of));
        chosen
    }
}

impl fmt::Debug for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.made.iter().map(|(chosen, _)| chosen)).finish()
    }
}

/// Whether a task can go on.
struct Flag(AtomicBool);

impl Flag {
    fn is_raised(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// How often a schedule may leave a task that could go on. A task that waits may be left as often as it likes.
const MOST_CHANGES: usize = 2;

const MOST_SCHEDULES: usize = 100_000;
