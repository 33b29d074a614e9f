//! Sums, means, variances and quantiles of plain floats.

/// A compensated sum after Neumaier: beside the sum itself, what rounding took from it.
#[derive(Clone, Copy, Default)]
pub struct Sum {
    sum: f64,
    lost: f64,
}

impl Sum {
    pub fn add(&mut self, v: f64) {
        let sum = self.sum + v;
        if sum.is_infinite() {
            self.lost = 0.0;
        } else if self.sum.abs() >= v.abs() {
            self.lost += (self.sum - sum) + v;
        } else {
            self.lost += (v - sum) + self.sum;
        }
        self.sum = sum;
    }

    pub fn total(self) -> f64 {
        self.sum + self.lost
    }

    fn scaled(self, factor: f64) -> Self {
        Self { sum: self.sum * factor, lost: self.lost * factor }
    }
}

pub fn sum(values: &[f64]) -> f64 {
    let mut sum = Sum { sum: values[0], lost: 0.0 };
    values[1..].iter().for_each(|v| sum.add(*v));
    sum.total()
}

/// The sum divided by the count; a running mean from where the sum would overflow.
pub fn mean(values: &[f64]) -> f64 {
    let mut sum = Sum { sum: values[0], lost: 0.0 };
    for (i, v) in values.iter().enumerate().skip(1) {
        let mut next = sum;
        next.add(*v);
        if next.sum.is_infinite() {
            let n = i as f64;
            let mut mean = Sum { sum: sum.sum / n, lost: sum.lost / n };
            for (i, v) in values.iter().enumerate().skip(i) {
                let n = i as f64 + 1.0;
                mean = mean.scaled((n - 1.0) / n);
                mean.add(v / n);
            }
            return mean.total();
        }
        sum = next;
    }
    let n = values.len() as f64;
    sum.sum / n + sum.lost / n
}

/// The variance of all values, gathered one by one after Welford; `compensated` as over time, not as over series.
pub fn variance(values: &[f64], compensated: bool) -> f64 {
    if !compensated && !values[0].is_finite() {
        return f64::NAN;
    }
    let (mut mean, mut squares) = (Sum::default(), Sum::default());
    for (i, v) in values.iter().enumerate() {
        let delta = v - mean.total();
        if compensated {
            mean.add(delta / (i as f64 + 1.0));
            squares.add(delta * (v - mean.total()));
        } else if i == 0 {
            mean.sum = *v;
        } else {
            mean.sum += delta / (i as f64 + 1.0);
            squares.sum += delta * (v - mean.sum);
        }
    }
    squares.total() / values.len() as f64
}

/// NaN sorts first.
pub fn sorted(values: &[f64]) -> Vec<f64> {
    let mut numbers: Vec<f64> = values.iter().copied().filter(|v| !v.is_nan()).collect();
    numbers.sort_by(|a, b| a.partial_cmp(b).unwrap());
    let mut all = vec![f64::NAN; values.len() - numbers.len()];
    all.extend(numbers);
    all
}

/// The value at rank `q * (n - 1)`, between the two nearest.
pub fn quantile(q: f64, values: &[f64]) -> f64 {
    match q {
        _ if q.is_nan() => f64::NAN,
        _ if q < 0.0 => f64::NEG_INFINITY,
        _ if q > 1.0 => f64::INFINITY,
        _ => {
            let values = sorted(values);
            let rank = q * (values.len() as f64 - 1.0);
            let (below, share) = (rank as usize, rank.fract());
            let above = (below + 1).min(values.len() - 1);
            values[below] * (1.0 - share) + values[above] * share
        }
    }
}
