//! `weft demo`: a gateway, a mesh client and a canary, in one process and one temporary directory.

mod backends;
mod client;
mod live;
mod once;
mod traffic;
mod world;

use weft_telemetry::logging;

use self::world::World;
use crate::{
    args::{Demo, Global},
    exit::{Exit, Failure, Outcome},
    output::Format,
};

/// Runs the command.
pub(crate) fn run(args: &Demo, global: Global) -> Outcome {
    global.output.one_of(&[Format::Text])?;
    let filter = if global.verbose > 0 { "info" } else { "error" };
    logging::init(logging::Format::Text, filter)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(demonstrate(args, global))
}

/// Whatever happens, what was started is ended and what was written is removed.
async fn demonstrate(args: &Demo, global: Global) -> Result<Exit, Failure> {
    let mut world = World::start().await?;
    let result = if args.once {
        once::run(&mut world, global.quiet).await
    } else {
        live::run(&mut world, global).await
    };
    let ended = world.end().await;
    let exit = result?;
    ended?;
    Ok(exit)
}
