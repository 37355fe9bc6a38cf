/**
 * A portal with a real PACS on this machine: `make portal`. Starts Orthanc with a storage folder of its own, a gateway that
 * asks for a token and allows the portal's origin, and the portal's pages on another origin; stores a study of synthetic
 * radiographs. Environment: PORT of the pages (8080).
 */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { fileURLToPath } from 'node:url';
import { dicomWeb } from '../../../web/dicomweb.js';
import { createStaticServer } from '../../../web/server/serve.js';
import { noOrthanc, startGateway, startOrthanc } from './orthanc.js';
import { STUDY, study } from './study.js';

/**
 * @typedef {object} Portal
 * @property {string} url of the page
 * @property {string} study its address in the PACS
 * @property {import('./orthanc.js').Gateway} gateway
 * @property {import('../../../web/dicomweb.js').Pacs} pacs behind the gateway
 * @property {() => Promise<void>} stop
 */

/**
 * @param {{ site: string, port?: number }} options site: the folder that is served
 * @returns {Promise<Portal>}
 */
export async function startPortal({ site, port = 0 }) {
  const orthanc = await startOrthanc();
  const token = randomUUID();
  const pages = createServer();
  pages.listen(port, '127.0.0.1');
  await once(pages, 'listening');
  const origin = `http://localhost:${/** @type {import('node:net').AddressInfo} */ (pages.address()).port}`;
  const gateway = await startGateway({ port: orthanc.port, origin, token });
  const address = `dicomweb:${gateway.root}/studies/${STUDY}`;
  const files = await createStaticServer(site, { connect: `'self' ${new URL(gateway.root).origin}` });
  pages.on('request', (request, response) => {
    if (request.url === '/examples/portal.json')
      response
        .writeHead(200, { 'Content-Type': 'application/json', 'Cache-Control': 'no-store' })
        .end(JSON.stringify({ study: address, token }));
    else files.emit('request', request, response);
  });
  const pacs = dicomWeb(orthanc.root);
  await pacs.store(study());
  return {
    url: `${origin}/examples/portal.html`,
    study: address,
    gateway,
    pacs,
    async stop() {
      gateway.close();
      pages.closeAllConnections();
      pages.close();
      await orthanc.stop();
    },
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  if (noOrthanc) throw new Error(noOrthanc);
  const portal = await startPortal({ site: 'build/web', port: Number(process.env.PORT || 8080) });
  console.log(`The portal is on ${portal.url}, its PACS on ${portal.gateway.root} (Ctrl+C stops both)`);
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => portal.stop().then(() => process.exit()));
}
