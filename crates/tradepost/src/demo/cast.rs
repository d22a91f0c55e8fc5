//! The demo's people, orders and opening scenes. Everybody is invented.

use domain::{PairId, Timestamp};
use operations::ItemInput;

/// The marketplace's id and alias domain; with 15 characters before it an alias has 35 (A2).
pub(crate) const MARKETPLACE: &str = "plaza";
/// The buyer who wants no unsolicited mail.
pub(crate) const OPTED_OUT: &str = "beatriz";
pub(crate) const DOMAIN: &str = "marketplace.example";
pub(crate) const POSTMASTER: &str = "postmaster@plaza-office.example";

const DAY_MICROS: i64 = 86_400_000_000;

/// Somebody with a real mailbox.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    /// Also the shop's id.
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) address: String,
    pub(crate) locale: String,
    pub(crate) role_label: &'static str,
    pub(crate) place: &'static str,
    /// What the pages say about this mailbox.
    pub(crate) note: &'static str,
    pub(crate) is_seller: bool,
    pub(crate) is_buyer: bool,
}

impl Person {
    /// The domain of the real address.
    pub(crate) fn domain(&self) -> &str {
        self.address.rsplit('@').next().unwrap_or_default()
    }

    /// What this person's mail server calls itself.
    pub(crate) fn helo(&self) -> String {
        format!("mx.{}", self.domain())
    }
}

/// An order of the demo.
#[derive(Debug, Clone)]
pub(crate) struct DemoOrder {
    pub(crate) id: String,
    pub(crate) seller: String,
    pub(crate) buyer: String,
    pub(crate) item: &'static str,
    pub(crate) category: &'static str,
    pub(crate) status: &'static str,
    pub(crate) placed_at: Timestamp,
    pub(crate) delivered_at: Option<Timestamp>,
}

impl DemoOrder {
    pub(crate) fn items(&self) -> Vec<ItemInput> {
        vec![ItemInput {
            title: self.item.to_owned(),
            category: self.category.to_owned(),
            customizable: self.category == "custom",
            quantity: 1,
        }]
    }
}

/// An order with the aliases that the service gave its pair.
#[derive(Debug, Clone)]
pub(crate) struct OrderLine {
    pub(crate) order: DemoOrder,
    pub(crate) buyer_alias: String,
    pub(crate) seller_alias: String,
    pub(crate) pair: PairId,
}

/// A mail of the opening.
pub(crate) struct Scene {
    pub(crate) from: &'static str,
    pub(crate) to: &'static str,
    pub(crate) order: &'static str,
    pub(crate) subject: &'static str,
    pub(crate) text: &'static str,
    pub(crate) html: bool,
    pub(crate) is_reply: bool,
}

/// Everybody.
pub(crate) struct Cast {
    pub(crate) people: Vec<Person>,
}

impl Cast {
    pub(crate) fn new() -> Self {
        let person = |id: &str, name: &str, address: &str, locale: &str, role_label, place, note, is_seller, is_buyer| Person {
            id: id.to_owned(),
            name: name.to_owned(),
            address: address.to_owned(),
            locale: locale.to_owned(),
            role_label,
            place,
            note,
            is_seller,
            is_buyer,
        };
        let people = vec![
            person(
                "azahar",
                "Taller Azahar",
                "carmen@taller-azahar.example",
                "es",
                "Seller",
                "ceramics from Seville, in Spanish",
                "",
                true,
                false,
            ),
            person(
                "northlight",
                "Northlight Books",
                "desk@northlight.example",
                "en",
                "Seller",
                "second-hand books, in English",
                "",
                true,
                false,
            ),
            person(
                "serraalta",
                "Café Serra Alta",
                "vendas@serra-alta.example",
                "pt-BR",
                "Seller",
                "coffee from Minas Gerais, in Portuguese",
                "",
                true,
                false,
            ),
            person("lucia", "Lucía", "lucia.romero.1987@correo.example", "es", "Buyer", "reads Spanish", "", false, true),
            person("tom", "Tom", "tom.whitfield@inbox.example", "en", "Buyer", "reads English", "", false, true),
            person(
                OPTED_OUT,
                "Beatriz",
                "bia.nogueira@caixa.example",
                "pt-BR",
                "Buyer",
                "reads Portuguese, wants no unsolicited mail",
                "Beatriz opted out: sellers reach her with replies, with what an order needs, and with [Importante] in the subject.",
                false,
                true,
            ),
            person(
                "stranger",
                "Morgan",
                "morgan@elsewhere.example",
                "en",
                "Stranger",
                "has nothing to do with any order",
                "Whatever Morgan writes to an alias is refused, in words that tell nothing about whose it is.",
                false,
                false,
            ),
            person(
                "operator",
                "Plaza's postmaster",
                POSTMASTER,
                "en",
                "Operator",
                "the marketplace's own mailbox",
                "Mail to postmaster@ and abuse@ of the alias domain comes here.",
                false,
                false,
            ),
        ];
        Self { people }
    }

    pub(crate) fn person(&self, id: &str) -> Option<&Person> {
        self.people.iter().find(|p| p.id == id)
    }

    pub(crate) fn sellers(&self) -> impl Iterator<Item = &Person> {
        self.people.iter().filter(|p| p.is_seller)
    }

    pub(crate) fn buyers(&self) -> impl Iterator<Item = &Person> {
        self.people.iter().filter(|p| p.is_buyer)
    }

    pub(crate) fn others(&self) -> impl Iterator<Item = &Person> {
        self.people.iter().filter(|p| !p.is_buyer && !p.is_seller)
    }

    /// Every domain that mail comes from, each once.
    pub(crate) fn domains(&self) -> Vec<String> {
        let mut domains: Vec<String> = self.people.iter().map(|p| p.domain().to_owned()).collect();
        domains.sort();
        domains.dedup();
        domains
    }

    /// Orders in every state.
    pub(crate) fn orders(&self, now: Timestamp) -> Vec<DemoOrder> {
        let days_ago = |days: i64| Timestamp(now.0 - days * DAY_MICROS);
        let order = |id: &str, seller: &str, buyer: &str, item, category, status, placed: i64, delivered: Option<i64>| DemoOrder {
            id: id.to_owned(),
            seller: seller.to_owned(),
            buyer: buyer.to_owned(),
            item,
            category,
            status,
            placed_at: days_ago(placed),
            delivered_at: delivered.map(days_ago),
        };
        vec![
            order("302-5519274-118", "azahar", "lucia", "Fuente pintada a mano, 32 cm", "handmade", "shipped", 4, None),
            order("302-5520031-946", "azahar", "tom", "Set of four tiles", "handmade", "unshipped", 1, None),
            order("302-5498810-207", "northlight", "tom", "A field guide to lichens (1974)", "books", "delivered", 12, Some(6)),
            order("302-5521177-350", "northlight", "lucia", "Cuaderno de campo, ex-libris grabado", "custom", "pending", 0, None),
            order("302-5517702-664", "serraalta", "beatriz", "Café em grãos, torra média, 1 kg", "food", "shipped", 3, None),
            order("302-5460093-512", "serraalta", "tom", "Coffee, light roast, 500 g", "food", "cancelled", 30, None),
            order("302-5433871-089", "azahar", "beatriz", "Azulejo decorado", "handmade", "returned", 41, Some(35)),
        ]
    }

    /// What has been written when the demo opens.
    pub(crate) fn opening(&self) -> Vec<Scene> {
        let scene = |from, to, order, subject, text, html, is_reply| Scene { from, to, order, subject, text, html, is_reply };
        vec![
            scene(
                "lucia",
                "azahar",
                "302-5519274-118",
                "¿Llega antes del sábado?",
                "Hola:\n\nEs un regalo y el sábado salgo de viaje. ¿Sabéis si llegará antes?\nSi hace falta, escribidme a lucia.romero.1987@correo.example.\n\nGracias,\nLucía Romero\n",
                true,
                false,
            ),
            scene(
                "azahar",
                "lucia",
                "302-5519274-118",
                "",
                "Hola, Lucía:\n\nSalió ayer y el reparto está previsto para el jueves. Si el viernes no ha llegado, avísanos y lo reclamamos.\n\nUn saludo,\nCarmen · carmen@taller-azahar.example\n",
                true,
                true,
            ),
            scene(
                "tom",
                "northlight",
                "302-5498810-207",
                "Missing map",
                "Hello,\n\nthe book came in good shape, but the fold-out map from the listing is not in it. Could you have a look on your side?\n\nTom\n",
                false,
                false,
            ),
            scene(
                "serraalta",
                "beatriz",
                "302-5517702-664",
                "Moagem do seu pedido",
                "Olá, Beatriz!\n\nVocê pediu em grãos, mas deixou uma observação sobre coador. Quer que a gente envie moído?\n\nEquipe Serra Alta\n",
                true,
                false,
            ),
        ]
    }
}
