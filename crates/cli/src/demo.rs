//! demo placeholder to be replaced in this session
use crate::{
    args::{Demo, Global},
    exit::{Exit, Outcome},
};
pub(crate) fn run(_args: &Demo, _global: Global) -> Outcome {
    Ok(Exit::Good)
}
