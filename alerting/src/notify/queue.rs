//! The queue in front of one Alertmanager: bounded, the oldest alerts give way.

use std::collections::VecDeque;

use crate::Alert;

/// Alerts that wait to be sent.
#[derive(Debug)]
pub struct Queue {
    alerts: VecDeque<Alert>,
    capacity: usize,
}

impl Queue {
    /// An empty queue for up to `capacity` alerts.
    pub fn new(capacity: usize) -> Self {
        Self { alerts: VecDeque::new(), capacity }
    }

    /// Appends alerts; the oldest of all give way when there are too many. Returns how many were dropped.
    pub fn push(&mut self, alerts: &[Alert]) -> usize {
        self.alerts.extend(alerts.iter().cloned());
        let dropped = self.alerts.len().saturating_sub(self.capacity);
        self.alerts.drain(..dropped);
        dropped
    }

    /// Takes up to `most` of the oldest.
    pub fn take(&mut self, most: usize) -> Vec<Alert> {
        let n = self.alerts.len().min(most);
        self.alerts.drain(..n).collect()
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.alerts.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.alerts.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alerts(names: &str) -> Vec<Alert> {
        names.chars().map(|name| super::super::tests::alert(&name.to_string())).collect()
    }

    fn names(alerts: &[Alert]) -> String {
        alerts.iter().filter_map(|alert| alert.labels.get("alertname")).collect()
    }

    #[test]
    fn the_oldest_give_way() {
        let mut queue = Queue::new(4);
        assert_eq!(queue.push(&alerts("abc")), 0);
        assert_eq!(queue.push(&alerts("de")), 1);
        assert_eq!(names(&queue.take(3)), "bcd");
        assert_eq!(queue.push(&alerts("123456")), 3);
        assert_eq!(queue.len(), 4);
        assert_eq!(names(&queue.take(9)), "3456");
        assert!(queue.is_empty());
        assert_eq!(Queue::new(0).push(&alerts("a")), 1);
    }
}
