//! `tradepost token create|list|revoke`.

use anyhow::bail;
use clap::Subcommand;
use domain::{Clock, MarketplaceId, Random, Seller, SellerId};
use operations::OperationError;
use serde_json::json;
use store::{Store, TokenScope};

use crate::commands::{ConfigArgument, Usage};
use crate::system::{SystemClock, SystemCsprng, say};
use crate::{app, config};

/// What to do with tokens.
#[derive(Subcommand)]
pub(crate) enum TokenCommand {
    /// Make a token and print it once.
    Create {
        #[command(flatten)]
        config: ConfigArgument,
        /// What it may do: `operator`; `seller:ID` with the shop's id of the seller; `seller:ID:submit` to send mail only.
        #[arg(long)]
        scope: String,
        /// The seller's marketplace, where there are several.
        #[arg(long)]
        marketplace: Option<String>,
        /// Name by which it can be revoked; drawn when absent.
        #[arg(long)]
        name: Option<String>,
    },
    /// Show what tokens there are; none of them can be shown again.
    List {
        #[command(flatten)]
        config: ConfigArgument,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Make a token useless.
    Revoke {
        #[command(flatten)]
        config: ConfigArgument,
        /// Its name, as `token list` shows it.
        name: String,
    },
}

pub(crate) async fn run(command: TokenCommand) -> anyhow::Result<()> {
    match command {
        TokenCommand::Create { config, scope, marketplace, name } => {
            let config = config::load(&config.config)?;
            create(&config, &scope, marketplace.as_deref(), name).await
        }
        TokenCommand::List { config, json } => {
            let store = app::open_store(&config::load(&config.config)?).await?;
            list(store.as_ref(), json).await
        }
        TokenCommand::Revoke { config, name } => {
            let store = app::open_store(&config::load(&config.config)?).await?;
            if !operations::revoke_token(store.as_ref(), &name).await? {
                bail!("there is no token of that name; `tradepost token list` shows them");
            }
            eprintln!("Token {name} is of no use any more.");
            Ok(())
        }
    }
}

async fn create(config: &config::Config, scope: &str, marketplace: Option<&str>, name: Option<String>) -> anyhow::Result<()> {
    let scope_text = scope.trim();
    let scope = read_scope(config, scope_text, marketplace)?;
    let random = SystemCsprng::new();
    let name = name.map_or_else(|| draw_name(&random), |name| name.trim().to_owned());
    if name.is_empty() || name.chars().any(char::is_control) {
        return Err(Usage("--name: expected a name on one line, or leave the flag out, and one is drawn".to_owned()).into());
    }
    let store = app::open_store(config).await?;
    if let (Some(id), _) = scope.columns()
        && store.find_seller(*id).await?.is_none()
    {
        // An id may hold a colon, so that a mistyped suffix is part of it.
        let suffix = if scope_text.matches(':').count() > 1 { "; the only suffix is :submit" } else { "" };
        bail!("--scope: there is no such seller; put it with the API first{suffix}");
    }
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

async fn list(store: &dyn Store, as_json: bool) -> anyhow::Result<()> {
    let head = ["name", "scope", "marketplace", "created"].map(str::to_owned);
    let (mut rows, mut items) = (vec![head], Vec::new());
    for token in store.list_tokens().await? {
        let seller = match token.scope.columns() {
            (Some(id), _) => store.find_seller(*id).await?,
            (None, _) => None,
        };
        let scope = scope_words(&token.scope, seller.as_ref());
        let marketplace = seller.as_ref().map(|seller| seller.marketplace.as_str());
        let created = jiff::Timestamp::from_microsecond(token.created_at.0).map(|at| at.to_string()).unwrap_or_default();
        items.push(json!({ "name": token.name, "scope": scope, "marketplace": marketplace, "created_at": created }));
        rows.push([token.name, scope, marketplace.unwrap_or("-").to_owned(), created]);
    }
    if as_json {
        say(&serde_json::to_string_pretty(&json!({ "tokens": items }))?);
        return Ok(());
    }
    if items.is_empty() {
        say("There is no token; make one with `tradepost token create`.");
        return Ok(());
    }
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let (name, scope, marketplace) = (width(0), width(1), width(2));
    for row in &rows {
        say(format!("{:<name$}  {:<scope$}  {:<marketplace$}  {}", row[0], row[1], row[2], row[3]).trim_end());
    }
    Ok(())
}

/// A scope as `--scope` takes it.
fn scope_words(scope: &TokenScope, seller: Option<&Seller>) -> String {
    let id = |id: &SellerId| seller.map_or_else(|| id.to_string(), |seller| seller.shop_id.clone());
    match scope {
        TokenScope::Operator => "operator".to_owned(),
        TokenScope::Seller(seller) => format!("seller:{}", id(seller)),
        TokenScope::Submission(seller) => format!("seller:{}:submit", id(seller)),
    }
}

fn read_scope(config: &config::Config, scope: &str, marketplace: Option<&str>) -> anyhow::Result<TokenScope> {
    if scope == "operator" {
        return Ok(TokenScope::Operator);
    }
    let seller = scope.strip_prefix("seller:").map(|seller| match seller.strip_suffix(":submit") {
        Some(id) => (id, true),
        None => (seller, false),
    });
    let is_id = |id: &str| !id.is_empty() && !id.starts_with(':') && id.bytes().all(|b| b.is_ascii_graphic());
    let Some((seller, submits)) = seller.filter(|(id, _)| is_id(id)) else {
        return Err(Usage("--scope: expected operator, seller:ID or seller:ID:submit".to_owned()).into());
    };
    let name = match (marketplace, config.marketplace.as_slice()) {
        (Some(name), _) => name,
        (None, [only]) => only.id.as_str(),
        (None, _) => return Err(Usage("--marketplace: there are several; name the seller's".to_owned()).into()),
    };
    let configured = MarketplaceId::new(name).filter(|id| config.marketplace.iter().any(|m| m.id == id.as_str()));
    let Some(id) = configured else {
        return Err(Usage(format!("--marketplace {name}: is not configured")).into());
    };
    let seller = SellerId::of(&id, seller);
    Ok(if submits { TokenScope::Submission(seller) } else { TokenScope::Seller(seller) })
}

fn draw_name(random: &dyn Random) -> String {
    let mut octets = [0; 4];
    random.fill(&mut octets);
    octets.iter().fold("token-".to_owned(), |name, b| format!("{name}{b:02x}"))
}
