// Sends a query twice through each client's persisted queries, by POST and by
// GET, to SERVER_URL with SERVER_TOKEN. Prints one JSON line per query with the
// requests that the client made and what it got for them:
// {"client","how","data","requests":[{"method","hash","query"}]}.
import { createHash } from 'node:crypto';

import { ApolloClient, ApolloLink, HttpLink, InMemoryCache, gql } from '@apollo/client';
import { PersistedQueryLink } from '@apollo/client/link/persisted-queries';
import { Client, fetchExchange } from '@urql/core';
import { persistedExchange } from '@urql/exchange-persisted';

const { SERVER_URL, SERVER_TOKEN } = process.env;
const sha256 = (text) => createHash('sha256').update(text).digest('hex');

let requests = [];
async function recorded(url, init) {
  const sent = init.body ? JSON.parse(init.body) : Object.fromEntries(new URL(url).searchParams);
  const extensions = typeof sent.extensions === 'string' ? JSON.parse(sent.extensions) : sent.extensions;
  requests.push({
    method: init.method ?? 'GET',
    hash: extensions?.persistedQuery?.sha256Hash ?? '',
    query: sent.query ?? '',
  });
  return fetch(url, { ...init, headers: { ...init.headers, authorization: `Bearer ${SERVER_TOKEN}` } });
}

async function report(client, how, ask) {
  requests = [];
  const { data, error } = await ask();
  console.log(JSON.stringify({ client, how, data, error: error ? String(error) : '', requests }));
}

for (const useGETForHashedQueries of [false, true]) {
  const how = useGETForHashedQueries ? 'GET' : 'POST';
  const document = gql(`query Apollo${how} { __typename }`);
  for (const again of ['first', 'again']) {
    const client = new ApolloClient({
      cache: new InMemoryCache(),
      link: ApolloLink.from([
        new PersistedQueryLink({ sha256, useGETForHashedQueries }),
        new HttpLink({ uri: SERVER_URL, fetch: recorded }),
      ]),
    });
    await report('apollo', `${how} ${again}`, () => client.query({ query: document, fetchPolicy: 'network-only' }));
  }
}

for (const preferGetForPersistedQueries of [false, true]) {
  const how = preferGetForPersistedQueries ? 'GET' : 'POST';
  for (const again of ['first', 'again']) {
    const client = new Client({
      url: SERVER_URL,
      fetch: recorded,
      preferGetMethod: false,
      exchanges: [persistedExchange({ preferGetForPersistedQueries }), fetchExchange],
    });
    await report('urql', `${how} ${again}`, () => client.query(`query Urql${how} { __typename }`, {}).toPromise());
  }
}
