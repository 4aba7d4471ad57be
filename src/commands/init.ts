/** `aegis init`: an identity, a keystore and a configuration for this home. */
import { hostname } from 'node:os';
import { Flags } from '@oclif/core';
import { BaseCommand, passphraseFlags } from '../cli/base.ts';
import { facts } from '../cli/format.ts';
import { safeText } from '../cli/text.ts';
import { VERSION } from '../cli/version.ts';
import type { InitResult } from '../core/api/contract/keys.ts';
import { AegisError, hasCode } from '../core/errors.ts';
import { statIfPresent } from '../core/files.ts';
import type { Keystore } from '../core/keys/keystore.ts';

interface Names {
  readonly name: string;
  readonly zone: string;
  readonly region: string;
}

/** Below this a passphrase is worth a warning. */
const PASSPHRASE_CHARACTERS_MIN = 12;

export default class Init extends BaseCommand<typeof Init, InitResult> {
  static override readonly summary = 'Make the keys and the configuration of a new node.';
  static override readonly description =
    'Makes the identity key, its committed successor, the network key and the keys of consensus, ' +
    'all encrypted under a passphrase, and writes them with the settings into the home. The ' +
    'name, zone and region become part of the identity and cannot be changed later. Nothing is ' +
    'ever overwritten. The successor alone can ever take the place of the identity: move it ' +
    'elsewhere with `aegis keys export --next --remove`.';
  static override readonly examples = [
    { description: 'Make a node', command: '<%= config.bin %> init --name alice --zone berlin' },
    {
      description: 'Without questions, from a script',
      command: '<%= config.bin %> init --name alice --passphrase-file ./passphrase',
    },
    {
      description: 'Reachable from other machines',
      command: '<%= config.bin %> init --name alice --listen /ip4/0.0.0.0/tcp/4001',
    },
  ];
  static override readonly flags = {
    ...passphraseFlags,
    name: Flags.string({
      helpValue: '<name>',
      description: 'Name of the node, for people. Default: the name of this machine.',
    }),
    zone: Flags.string({
      default: 'default',
      helpValue: '<zone>',
      description: 'What fails together: copies are put into different zones.',
    }),
    region: Flags.string({
      default: 'default',
      helpValue: '<region>',
      description: 'Where in the world the node stands.',
    }),
    listen: Flags.string({
      multiple: true,
      multipleNonGreedy: true,
      helpValue: '<address>',
      description: 'Address to listen on. Default: a free port of 127.0.0.1.',
    }),
    'storage-weight': Flags.integer({
      min: 0,
      max: 1000,
      helpValue: '<0..1000>',
      description: 'Share of the copies that this node keeps; 0 keeps none. Default: 100.',
    }),
    'next-passphrase-file': Flags.string({
      helpValue: '<file>',
      description: "Passphrase for the identity's successor. Default: the same passphrase.",
    }),
  };

  protected override async work(): Promise<InitResult> {
    const paths = this.home();
    if (paths.cluster !== undefined) {
      throw new AegisError('USAGE', 'a home is made without --cluster, and clusters come into it', {
        hint: 'Afterwards: aegis cluster join FILE --cluster NAME',
      });
    }
    if ((await statIfPresent(paths.format)) !== undefined) {
      throw new AegisError('EXISTS', `there is an aegis home at ${paths.label} already`, {
        hint: 'See its keys: aegis keys list. For another node choose another --home.',
      });
    }
    const names = await this.#names();
    const { ensureHome } = await import('../core/config/home.ts');
    await ensureHome(paths);
    // Settings first: they are checked as they are written, and a home without keys is no loss.
    await this.#writeSettings();
    using keystore = await this.#keystore(names);
    const { writeFormat } = await import('../core/config/format.ts');
    await writeFormat(paths, { aegis: VERSION });

    const { fingerprint } = await import('../core/model/bundle.ts');
    const { peerIdOf } = await import('../core/model/identity.ts');
    const { nodeId, inception } = keystore;
    this.#nextSteps();
    return {
      schema: 'aegis.init/1',
      home: paths.label,
      keysDir: paths.keys,
      nodeId,
      fingerprint: fingerprint(nodeId),
      peerId: peerIdOf(inception.networkKey),
      ...names,
    };
  }

  protected override view(result: InitResult): string {
    return facts([
      ['node', safeText(result.name)],
      ['node id', result.nodeId],
      ['fingerprint', result.fingerprint],
      ['peer id', result.peerId],
      ['home', safeText(result.home)],
    ]);
  }

  async #names(): Promise<Names> {
    const { name, zone, region } = this.flags;
    const { checkLabel } = await import('../core/model/identity.ts');
    return {
      name: checkLabel('name', name ?? hostname().split('.')[0]!),
      zone: checkLabel('zone', zone),
      region: checkLabel('region', region),
    };
  }

  async #writeSettings(): Promise<void> {
    const { listen, 'storage-weight': storageWeight } = this.flags;
    const { writeSettings } = await import('../core/config/settings.ts');
    await writeSettings(this.home(), {
      node: {
        ...(listen === undefined ? {} : { listen }),
        ...(storageWeight === undefined ? {} : { storageWeight }),
      },
    });
  }

  /** New keys; or those of an `init` that was cut off before its end, if they are the same. */
  async #keystore(names: Names): Promise<Keystore> {
    const { keys: dir } = this.home();
    const passphrase = await this.#choosePassphrase(dir);
    const nextFile = this.flags['next-passphrase-file'];
    const next =
      nextFile === undefined
        ? {}
        : { nextPassphrase: await this.passphrase("the identity's successor", { file: nextFile }) };
    const { Keystore: Store } = await import('../core/keys/keystore.ts');
    const { systemRandom } = await import('../core/keys/random.ts');
    const createdAt = Date.now();
    try {
      const options = { dir, ...names, passphrase, ...next, createdAt };
      return (await Store.create(options, { random: systemRandom })).keystore;
    } catch (error) {
      if (!hasCode(error, 'EXISTS')) throw error;
      const found = await Store.open({ dir, passphrase }).catch(() => undefined);
      const { name, zone, region } = found?.inception ?? {};
      if (found && name === names.name && zone === names.zone && region === names.region) {
        return found;
      }
      found?.close();
      throw error;
    }
  }

  async #choosePassphrase(keysDir: string): Promise<string> {
    const passphrase = await this.passphrase(`the new keystore in ${keysDir}`, { confirm: true });
    if (passphrase.length < PASSPHRASE_CHARACTERS_MIN) {
      this.note(
        'aegis: warning: short passphrases can be guessed by whoever copies the files; change it ' +
          'with aegis keys passwd',
      );
    }
    return passphrase;
  }

  #nextSteps(): void {
    const own = this.flags['next-passphrase-file'] !== undefined;
    const advice = own ? '' : ' (it has the same passphrase until you change it)';
    this.note(`Keep the identity's successor elsewhere${advice}:`);
    this.note('  aegis keys export --next --remove --out /media/usb/next.key.json');
    this.note('Next: aegis cluster bundle --out me.bundle, then aegis cluster create or join.');
  }
}
