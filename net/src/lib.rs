//! How Trivium speaks HTTP: the client of everything it asks ([`client`]), the listener that serves what asks it
//! ([`listener`]), and a writer of JSON of any size ([`json`]). Knows neither what is asked nor what is answered.

pub mod client;
pub mod json;
pub mod listener;
pub mod x509;
