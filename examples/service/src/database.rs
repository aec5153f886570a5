//! The SQLite behind the endpoints.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, OptionalExtension, Result, params};
use serde::Serialize;

/// A database that knows how often it was asked.
#[derive(Debug)]
pub struct Database {
    connection: Mutex<Connection>,
    queries: AtomicU64,
}

/// A plugin that teams can install.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Plugin {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub purpose: String,
}

/// What a user says of themselves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Profile {
    /// The user.
    pub user: String,
    /// What others call them.
    pub nickname: String,
}

const SCHEMA: &str = "
    CREATE TABLE plugins (name TEXT PRIMARY KEY, purpose TEXT NOT NULL);
    CREATE TABLE installed (
        team INTEGER NOT NULL,
        plugin TEXT NOT NULL REFERENCES plugins (name),
        PRIMARY KEY (team, plugin)
    );
    CREATE TABLE profiles (user TEXT PRIMARY KEY, nickname TEXT NOT NULL);
    CREATE TABLE tasks (id INTEGER PRIMARY KEY, user TEXT NOT NULL, text TEXT NOT NULL);
    INSERT INTO plugins VALUES
        ('calendar', 'who is where'), ('notes', 'what was said'), ('wiki', 'what is known');
";

impl Database {
    /// A database in memory, with the plugins that there are.
    ///
    /// # Errors
    /// If SQLite has no memory for it.
    pub fn in_memory() -> Result<Self> {
        let connection = Connection::open_in_memory()?;
        connection.execute_batch(SCHEMA)?;
        Ok(Self { connection: Mutex::new(connection), queries: AtomicU64::new(0) })
    }

    /// How often it was asked or told something.
    pub fn queries(&self) -> u64 {
        self.queries.load(Ordering::Relaxed)
    }

    /// Asks it on a thread that may wait for a disk.
    ///
    /// # Errors
    /// If SQLite says no.
    pub async fn ask<T: Send + 'static>(
        self: &Arc<Self>,
        question: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let database = Arc::clone(self);
        let asking = tokio::task::spawn_blocking(move || {
            database.queries.fetch_add(1, Ordering::Relaxed);
            question(&database.connection.lock().unwrap_or_else(PoisonError::into_inner))
        });
        // A panic is passed on; nobody cancels it.
        asking.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
    }
}

/// All plugins.
pub fn plugins(connection: &Connection) -> Result<Vec<Plugin>> {
    let mut all = connection.prepare("SELECT name, purpose FROM plugins ORDER BY name")?;
    all.query_map([], |row| Ok(Plugin { name: row.get(0)?, purpose: row.get(1)? }))?.collect()
}

/// The names of those that `team` has installed.
pub fn installed(connection: &Connection, team: u32) -> Result<Vec<String>> {
    let sql = "SELECT plugin FROM installed WHERE team = ? ORDER BY plugin";
    connection.prepare(sql)?.query_map([team], |row| row.get(0))?.collect()
}

/// Installs a plugin; whether there is one of this name.
pub fn install(connection: &Connection, team: u32, plugin: &str) -> Result<bool> {
    let sql = "INSERT OR REPLACE INTO installed SELECT ?, name FROM plugins WHERE name = ?";
    Ok(connection.execute(sql, params![team, plugin])? > 0)
}

/// Removes a plugin; whether it was installed.
pub fn uninstall(connection: &Connection, team: u32, plugin: &str) -> Result<bool> {
    let sql = "DELETE FROM installed WHERE team = ? AND plugin = ?";
    Ok(connection.execute(sql, params![team, plugin])? > 0)
}

/// How many teams have installed each plugin.
pub fn marketplace(connection: &Connection) -> Result<Vec<(String, u32)>> {
    let sql = "SELECT name, COUNT(team) FROM plugins LEFT JOIN installed ON plugin = name \
               GROUP BY name ORDER BY name";
    connection.prepare(sql)?.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

/// What `user` says of themselves.
pub fn profile(connection: &Connection, user: &str) -> Result<Profile> {
    let sql = "SELECT nickname FROM profiles WHERE user = ?";
    let nickname = connection.query_row(sql, [user], |row| row.get(0)).optional()?;
    Ok(Profile { user: user.into(), nickname: nickname.unwrap_or_else(|| user.into()) })
}

/// Calls `user` something else.
pub fn rename(connection: &Connection, user: &str, nickname: &str) -> Result<()> {
    let sql = "INSERT OR REPLACE INTO profiles VALUES (?, ?)";
    connection.execute(sql, [user, nickname]).map(drop)
}

/// What `user` has to do.
pub fn tasks(connection: &Connection, user: &str) -> Result<Vec<String>> {
    let sql = "SELECT text FROM tasks WHERE user = ? ORDER BY id";
    connection.prepare(sql)?.query_map([user], |row| row.get(0))?.collect()
}

/// Gives `user` something to do.
pub fn add_task(connection: &Connection, user: &str, text: &str) -> Result<()> {
    connection.execute("INSERT INTO tasks (user, text) VALUES (?, ?)", [user, text]).map(drop)
}
