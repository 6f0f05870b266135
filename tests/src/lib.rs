//! The harness of the workspace's tests: fixtures, and what a translation makes of them as text;
//! worlds served by a data path in process, with clients and back-ends around it.

pub mod answer;
pub mod ask;
pub mod backend;
pub mod binary;
pub mod body;
pub mod client;
pub mod control_plane;
pub mod fakeapi;
pub mod fixture;
pub mod gateway;
pub mod member;
pub mod mesh;
pub mod netns;
pub mod outline;
pub mod pki;
pub mod proxy;
pub mod rawcalls;
pub mod rawclient;
pub mod rawh2;
pub mod refusals;
pub mod scripted;
pub mod tap;
pub mod trust;
pub mod wait;
pub mod world;
