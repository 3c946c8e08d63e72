// In charge of: what we use of a library that comes without types.
declare module 'qrcode-svg' {
  export default class QRCode {
    constructor(options: { readonly content: string; readonly ecl: 'L' | 'M' | 'Q' | 'H' });
    readonly qrcode: {
      getModuleCount(): number;
      isDark(row: number, column: number): boolean;
    };
  }
}
