//! `tradepost token create|revoke`.

use anyhow::{Context, bail};
use clap::Subcommand;
use domain::{Clock, MarketplaceId, Random, SellerId};
use operations::OperationError;
use store::TokenScope;

use crate::commands::ConfigArgument;
use crate::system::{SystemClock, SystemCsprng, say};
use crate::{app, config};

/// What to do with tokens.
#[derive(Subcommand)]
pub(crate) enum TokenCommand {
    /// Make a token and print it once.
    Create {
        #[command(flatten)]
        config: ConfigArgument,
        /// What it may do: `operator`, or `seller:ID` with the shop's id of the seller.
        #[arg(long)]
        scope: String,
        /// The seller's marketplace, where there are several.
        #[arg(long)]
        marketplace: Option<String>,
        /// Name by which it can be revoked; drawn when absent.
        #[arg(long)]
        name: Option<String>,
    },
    /// Make a token useless.
    Revoke {
        #[command(flatten)]
        config: ConfigArgument,
        /// Its name.
        name: String,
    },
}

pub(crate) async fn run(command: TokenCommand) -> anyhow::Result<()> {
    match command {
        TokenCommand::Create { config, scope, marketplace, name } => {
            let config = config::load(&config.config)?;
            let scope = read_scope(&config, &scope, marketplace.as_deref())?;
            let store = app::open_store(&config).await?;
            if let TokenScope::Seller(id) = scope
                && store.find_seller(id).await?.is_none()
            {
                bail!("--scope: there is no such seller; put it with the API first");
            }
            let random = SystemCsprng::new();
            let name = name.unwrap_or_else(|| draw_name(&random));
            match operations::create_token(store.as_ref(), &random, SystemClock.now(), &name, scope).await {
                Ok(text) => {
                    say(&text);
                    eprintln!("This is the only time it is shown. Its name is {name}.");
                    Ok(())
                }
                Err(OperationError::Invalid(faults)) => {
                    bail!("--name: {}", faults.iter().map(|f| f.detail.as_str()).collect::<Vec<_>>().join("; "))
                }
                Err(OperationError::Store(error)) => Err(error.into()),
                Err(_) => bail!("the token was not made; try again"),
            }
        }
        TokenCommand::Revoke { config, name } => {
            let config = config::load(&config.config)?;
            let store = app::open_store(&config).await?;
            operations::revoke_token(store.as_ref(), &name).await?;
            eprintln!("Token {name} is of no use any more.");
            Ok(())
        }
    }
}

fn read_scope(config: &config::Config, scope: &str, marketplace: Option<&str>) -> anyhow::Result<TokenScope> {
    if scope == "operator" {
        return Ok(TokenScope::Operator);
    }
    let Some(seller) = scope.strip_prefix("seller:").filter(|id| !id.is_empty()) else {
        bail!("--scope: expected operator or seller:ID");
    };
    let name = match (marketplace, config.marketplace.as_slice()) {
        (Some(name), _) => name,
        (None, [only]) => only.id.as_str(),
        (None, _) => bail!("--marketplace: there are several; name the seller's"),
    };
    let id = MarketplaceId::new(name)
        .filter(|id| config.marketplace.iter().any(|m| m.id == id.as_str()))
        .context("--marketplace: is not configured")?;
    Ok(TokenScope::Seller(SellerId::of(&id, seller)))
}

fn draw_name(random: &dyn Random) -> String {
    let mut octets = [0; 4];
    random.fill(&mut octets);
    octets.iter().fold("token-".to_owned(), |name, b| format!("{name}{b:02x}"))
}
