/** What people see of pins. */
import type { KbPin } from '../../core/api/contract/kb-space.ts';
import { ago, bytes, safeText, table } from '../format.ts';

const sizeOf = ({ sizeBytes }: KbPin): string => (sizeBytes === 0 ? '' : bytes(sizeBytes));

export const pinTable = (pins: readonly KbPin[], heading: (text: string) => string): string =>
  table(
    pins,
    [
      { title: 'CID', cell: (pin) => pin.cid },
      { title: 'NAME', cell: (pin) => pin.name ?? '' },
      { title: 'PATH', cell: (pin) => pin.path ?? '' },
      { title: 'SIZE', cell: sizeOf, align: 'right' },
      { title: 'PUBLIC', cell: (pin) => (pin.public ? 'yes' : 'no') },
      { title: 'AGE', cell: (pin) => ago(pin.time) },
    ],
    { heading },
  );

/** `notes.md (bafkr...)`, or the CID alone. */
export const pinText = ({ path, name, cid }: KbPin): string => {
  const words = [path, name].filter((word) => word !== null).map(safeText);
  return words.length === 0 ? cid : `${words.join(', ')} (${cid})`;
};
