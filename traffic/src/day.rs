//! How busy it is at which hour.

use std::time::Duration;

use crate::mix::Day;

impl Day {
    /// How busy it is at a time since midnight, of the busiest hour: from 0 to 1.
    #[must_use]
    pub fn busy(&self, at: Duration) -> f64 {
        let hours = at.as_secs_f64() / 3600.0;
        let hour = hours as usize;
        let within = hours - hour as f64;
        let (here, next) = (self.hours[hour % 24], self.hours[(hour + 1) % 24]);
        let greatest = self.hours.iter().copied().fold(0.0, f64::max);
        (here + (next - here) * within) / greatest
    }

    /// How busy a day is on average, of the busiest hour.
    #[must_use]
    pub fn mean(&self) -> f64 {
        let greatest = self.hours.iter().copied().fold(0.0, f64::max);
        self.hours.iter().sum::<f64>() / 24.0 / greatest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn between_hours_it_goes_straight_and_after_midnight_on() {
        let mut hours = [1.0; 24];
        hours[10] = 2.0;
        hours[0] = 0.0;
        let day = Day { hours };
        let at = |hours: f64| day.busy(Duration::from_secs_f64(hours * 3600.0));
        assert_eq!([at(9.0), at(9.5), at(10.0), at(23.5), at(24.0)], [0.5, 0.75, 1.0, 0.25, 0.0]);
        assert_eq!(at(34.0), 1.0);
    }
}
