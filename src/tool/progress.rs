//! How far long work is: a bar on standard error, when that is a terminal.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

const TEMPLATE: &str = "{msg} [{wide_bar}] {percent}% {eta}";

/// A bar; cleared when it is dropped.
pub struct Progress(ProgressBar);

impl Progress {
    /// Work of a number of steps.
    pub fn new(what: &str, steps: u64) -> Self {
        // Draws nothing when standard error is no terminal.
        let bar = ProgressBar::with_draw_target(Some(steps), ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_message(what.to_owned());
        Self(bar)
    }

    /// Names what is being done now.
    pub fn name(&self, what: &str) {
        self.0.set_message(what.to_owned());
    }

    /// Shows how many steps are done.
    pub fn at(&self, done: u64) {
        self.0.set_position(done);
    }

    /// Runs what prints, with the bar out of the way.
    pub fn aside<T>(&self, print: impl FnOnce() -> T) -> T {
        self.0.suspend(print)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
